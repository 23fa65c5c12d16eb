import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/**
 * Removes our end of a veth(4), and with it the other end. The kernel also removes it with the
 * other end's network, but only some time after the last process there ends. Until then, no link of
 * that name can be made.
 */
export function removeLink(name: string): void {
  const { stderr } = spawnSync('ip', ['link', 'del', name], { encoding: 'utf8' });
  if (existsSync(`/sys/class/net/${name}`)) throw new Error(`${name} stays: ${stderr}`);
}
