"""Tables that are looked up on any device."""

import torch

from dddm_schedules.device_table import DeviceTable


def test_lookup_gives_the_entries() -> None:
    """Entries are found in the shape of the index."""
    table = DeviceTable(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(table.at(torch.tensor([[2, 0]])), torch.tensor([[3.0, 1.0]]))


def test_each_device_is_sent_one_copy() -> None:
    """A second lookup on a device uses the copy that the first one made."""
    table = DeviceTable(torch.tensor([1.0, 2.0, 3.0]))
    index = torch.zeros(2, dtype=torch.int64, device="meta")
    assert table.at(index).device.type == "meta"
    copy = table._copies[index.device]
    table.at(index)
    assert table._copies[index.device] is copy
