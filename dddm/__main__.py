"""`python -m dddm` and `torchrun -m dddm`."""

from dddm.cli.main import main

if __name__ == "__main__":
    main()
