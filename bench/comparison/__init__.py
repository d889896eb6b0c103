"""The whole comparison: what is measured, kept, judged and written down."""
