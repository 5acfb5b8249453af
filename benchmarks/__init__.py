"""Measurements that are run by hand; what they found lies in benchmarks/results."""
