import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { WorkerList } from '../../../cluster/workers/worker-list.js';
import type { Config } from '../../../config/config.js';
import type { Layout } from '../../../config/layout.js';
import { loopbackOfName } from '../../daemons/host-address.js';
import { JoinServer } from './join-server.js';
import { RegisterClient } from './register-client.js';
import type { LinkPorts } from './worker-link.js';
import { WorkerLinks } from './worker-links.js';

export interface JoinPortSettings {
  port: number;
  api: Pick<Config, 'host' | 'port'>;
  ports: Omit<LinkPorts, 'address'>;
}

/**
 * Runs the join port until the process ends. It has a Unix user of its own, since it parses what
 * strangers send: a fault in it leads neither to root's files nor to the API's.
 */
export async function runJoinPort(layout: Layout, settings: JoinPortSettings): Promise<void> {
  const log = pino({ level: 'info' });
  const say = (line: string) => log.info(line);
  const address = (await loopbackOfName()) ?? '127.0.0.1';
  await JoinServer.open(settings.port, {
    certificate: readFileSync(layout.joinCertificate, 'utf8'),
    key: readFileSync(layout.joinKey, 'utf8'),
    api: settings.api,
    register: new RegisterClient(layout.registerSocket),
    workers: new WorkerList(layout.joinWorkers),
    links: new WorkerLinks({ ...settings.ports, address }, say),
    say,
  });
}
