"""Benchmarks: each module measures one thing; ``bench.run`` runs them."""
