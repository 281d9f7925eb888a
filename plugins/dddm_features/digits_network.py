"""The small classifier in whose last hidden layer digits are compared.

Legend: B images, one channel, 8 rows and columns; D = 64 features.
"""

from typing import Final, final

from torch import Tensor, nn

FEATURES: Final = 64
CLASSES: Final = 10


@final
class DigitsNetwork(nn.Module):
    """Three convolutions, then a hidden layer of 64 units, then ten classes; 47,530 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, CLASSES)

    def features(self, image_B1HW: Tensor) -> Tensor:
        """Activations (B, 64), at least 0, of images (B, 1, 8, 8) in [-1, 1]."""
        activation_BD: Tensor = self.trunk(image_B1HW)
        return activation_BD

    def forward(self, image_B1HW: Tensor) -> Tensor:
        """Logits (B, 10) of images (B, 1, 8, 8) in [-1, 1]."""
        logit_BK: Tensor = self.head(self.features(image_B1HW))
        return logit_BK
