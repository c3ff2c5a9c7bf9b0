"""Banners and messages: which one a customer sees in a slot, by conditions of the segment language."""
