"""What every test shares: one thread, as in the two workers of `make test`, and no deadlines on a busy machine."""

import hypothesis
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("course", deadline=None)
hypothesis.settings.load_profile("course")
