import { sourceReplySchema, sourcesReplySchema, type IngestSourceView } from '../ingest/replies.js';
import type { Api } from './api.js';
import { note, plain, say, table } from './terminal.js';

/** Problems and failures shown of each route; --json has more of them. */
const shownProblems = 5;

export async function listRoutes(api: Api, { json }: { json?: boolean }): Promise<void> {
  const reply = await api.get('/ingest', sourcesReplySchema);
  if (json) {
    say(JSON.stringify(reply, null, 2));
    return;
  }
  const head = ['ROUTE', 'STATE', 'LAST SCAN', 'FOUND', 'CLAIMED', 'RUNNING', 'DONE', 'FAILED'];
  say(table([[...head, 'LOST'], ...reply.routes.map(row)]));
  for (const line of reply.routes.flatMap(problemsOf)) note(line);
}

export async function pauseRoute(api: Api, name: string): Promise<void> {
  const route = await api.post(`/ingest/${encodeURIComponent(name)}/pause`, {}, sourceReplySchema);
  const ours = route.claimed + route.running;
  const rest = ours === 0 ? '' : `; what was taken goes on: ${ours}`;
  say(`${plain(route.name)} is paused: nothing more is taken${rest}`);
}

export async function resumeRoute(api: Api, name: string): Promise<void> {
  const route = await api.post(`/ingest/${encodeURIComponent(name)}/resume`, {}, sourceReplySchema);
  say(`${plain(route.name)} takes jobs again`);
}

function row(route: IngestSourceView): string[] {
  const counts = [route.found, route.claimed, route.running, route.done, route.failed, route.lost];
  return [
    plain(route.name),
    route.paused ? `paused by ${plain(route.paused.by)}` : 'on',
    route.last_scan ?? '-',
    ...counts.map(String),
  ];
}

/** What to tell of a route besides its row. An error counts until a scan after it came to its end. */
export function problemsOf(route: IngestSourceView): string[] {
  const { last_error: error, last_scan: scan, problems, problem_count: count } = route;
  const name = plain(route.name);
  const lines = problems
    .slice(0, shownProblems)
    .map(({ where, message }) => `${where === null ? '' : `${plain(where)}: `}${plain(message)}`);
  if (error && (scan === null || Date.parse(error.at) > Date.parse(scan)))
    lines.unshift(`${error.at}: ${plain(error.message)}`);
  if (count > shownProblems) lines.push(`${count - shownProblems} more problems; --json has them`);
  return lines.map((line) => `${name}: ${line}`);
}
