"""The one file of a recipe: the code that it uses, collected from our modules, and its forms."""
