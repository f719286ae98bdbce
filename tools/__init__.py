"""The template's own tools; none of them is part of a generated repository."""
