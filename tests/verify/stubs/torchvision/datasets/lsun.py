from pathlib import Path


class LSUNClass:
    def __init__(self, root, transform=None, target_transform=None):
        raise FileNotFoundError(root)

    def __getitem__(self, index):
        raise FileNotFoundError(self.root)

    def __len__(self):
        return self.length


class LSUN:
    def __init__(self, root, classes="train", transform=None, target_transform=None):
        self.dbs = [LSUNClass(str(Path(root) / f"{name}_lmdb"), transform) for name in classes]

    def __getitem__(self, index):
        return self.dbs[0][index][0], 0

    def __len__(self):
        return sum(map(len, self.dbs))
