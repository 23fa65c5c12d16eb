import type { RemoteJobSpec } from '../spec.js';
import { SshError } from '../ssh/errors.js';
import type { HostSession } from '../ssh/session.js';
import type { RemotePlaces } from './job-files.js';
import type { JobLog } from './log.js';

export interface SendParts {
  session: HostSession;
  log: JobLog;
  state: string;
  installation: string;
  places: RemotePlaces;
  signal: AbortSignal;
}

export function sendDataset(
  _dataset: NonNullable<RemoteJobSpec['dataset']>,
  { session }: SendParts,
): Promise<void> {
  throw new SshError('other', `SSH host ${session.host.name}: datasets are not sent there yet`);
}
