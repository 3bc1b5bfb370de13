"""What every worker needs, loaded once by the server that workers are forked from.

Nothing here may start threads of torch or touch CUDA: neither survives a fork.
"""

import numpy.ma  # noqa: F401  (numpy itself loads it at the first np.unique)
import safetensors.torch  # noqa: F401
import torch

import pybench.train  # noqa: F401
from pybench import host

# The first optimiser of a process makes torch import its compiler, which takes seconds.
torch.optim.SGD([torch.zeros(1)], lr=1.0)
# Reads the machine and the checkout once for all workers.
host.stamp()
