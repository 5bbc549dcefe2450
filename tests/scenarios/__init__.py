"""Proofs on real processes: killed, frozen, flooded, out of disk, and correct afterwards."""
