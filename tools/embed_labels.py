"""Door to the computation of text embeddings: a config's labels to a file."""

import sys

from mmreg.commands.embed import main

if __name__ == '__main__':
    sys.exit(main())
