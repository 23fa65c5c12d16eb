import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/**
 * Removes our end of a veth(4), and with it the other. It also goes by itself with the network that
 * its other end is in, but only some time after the last process there: until then the next one of
 * that name cannot be made.
 */
export function removeLink(name: string): void {
  const { stderr } = spawnSync('ip', ['link', 'del', name], { encoding: 'utf8' });
  if (existsSync(`/sys/class/net/${name}`)) throw new Error(`${name} stays: ${stderr}`);
}
