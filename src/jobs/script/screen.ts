import { screenNameTail } from '../screens.js';
import { shellQuote } from './shell-quote.js';
import type { ScriptParts } from './parts.js';

/** Runs `body` in a GNU screen session, see libexec/job-script/screen.sh. */
export function inScreen({ request, jobId, screenDir, logDir }: ScriptParts, body: string): string {
  const words = [logDir, screenDir, screenNameTail(request, jobId), body];
  return `jr_run_in_screen ${words.map(shellQuote).join(' ')}`;
}
