"""A planned move to another host: `move away` on the old one, `move here` on the new one."""
