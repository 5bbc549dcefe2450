"""How orders are carried out: emulated triggers, flattening; later routing and algos."""
