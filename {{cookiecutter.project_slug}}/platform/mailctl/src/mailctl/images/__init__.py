"""The images that this repository is pinned to: what their tags mean upstream today."""
