"""`dddm plugin new`: a package with a working component, to start from.  Imports no torch.

Templates are in `templates/common` and in one folder for each kind, laid out as the package will
be.
"""
