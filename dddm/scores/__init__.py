"""What is kept of scores, what they are called, and which of them may be compared.

How samples are scored is in plugins: `dddm.interfaces.score`.
"""
