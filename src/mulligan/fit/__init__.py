"""The budget solver: turns a knob of the recipe until the artifact comes just under the cap."""
