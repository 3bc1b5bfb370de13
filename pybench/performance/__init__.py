"""How fast the core is, and whether it got slower: times beside peers, counts, another revision."""
