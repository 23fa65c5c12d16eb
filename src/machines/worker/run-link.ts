import { writeFileSync } from 'node:fs';
import { pino } from 'pino';
import type { Layout } from '../../config/layout.js';
import { loopbackOfName } from '../daemons/host-address.js';
import { readIdentity } from './identity.js';
import { SlurmLink, type SlurmLinkParts } from './slurm-link.js';

/** Runs the worker's end of its link until the process ends. */
export async function runLink(
  layout: Layout,
  settings: { ports: SlurmLinkParts['ports']; silenceMs: number },
): Promise<void> {
  const { controller, fingerprint, token } = readIdentity(layout.workerIdentity);
  const target = {
    ...controller,
    silenceMs: settings.silenceMs,
    fingerprint: Buffer.from(fingerprint, 'base64url'),
  };
  const log = pino({ level: 'info' });
  const address = (await loopbackOfName()) ?? '127.0.0.1';
  const onUp = () => writeFileSync(layout.workerLinkUp, new Date().toISOString());
  await new SlurmLink({ target, token, ports: settings.ports, address, onUp, log }).run();
}
