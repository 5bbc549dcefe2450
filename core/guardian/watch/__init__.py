"""The watch: open risk is judged again on every price, fill, balance and timer, and the guardian acts by itself."""
