import { setTimeout as delay } from 'node:timers/promises';
import { joinReplySchema, type JoinReply, type JoinRequest } from '../../cluster/workers/record.js';
import { ConfigError } from '../../config/config-error.js';
import type { WorkerConfig } from '../../config/worker.js';
import { ControllerLink, ControllerRefusal, LinkError } from './controller-link.js';

const againMs = 2000;

/**
 * Asks the controller for admission, for as long as nobody answers: it may be starting.
 * @throws ConfigError when it refuses
 */
export async function join(
  { controller, silenceMs, token }: WorkerConfig,
  facts: Omit<JoinRequest, 'secret' | 'now'>,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<JoinReply> {
  const link = new ControllerLink({ ...controller, silenceMs, fingerprint: token.fingerprint }, '');
  let said = '';
  try {
    for (;;) {
      try {
        const body = JSON.stringify({ ...facts, secret: token.secret, now: Date.now() });
        return joinReplySchema.parse(await link.call('POST', '/join', { body, signal }));
      } catch (error) {
        if (error instanceof ControllerRefusal)
          throw new ConfigError(`the controller refuses this worker: ${error.message}`);
        if (!(error instanceof LinkError) || signal.aborted) throw error;
        if (error.message.includes('JR_JOIN_TOKEN')) throw new ConfigError(error.message);
        if (error.message !== said) say(`${error.message}; trying again`);
        said = error.message;
        await delay(againMs, undefined, { signal });
      }
    }
  } finally {
    link.close();
  }
}
