"""`dddm plugin new`: a package that works at once, to be changed into one's own.  No torch.

`names` decides what everything in it is called, and refuses what cannot be; `package` fills the
templates, which lie as the package will: `templates/common`, and one folder for each kind.
"""
