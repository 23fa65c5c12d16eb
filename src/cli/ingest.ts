import { sourceReplySchema, sourcesReplySchema, type IngestSourceView } from '../ingest/replies.js';
import type { Api } from './api.js';
import { note, plain, say, table } from './terminal.js';

/** Problems and failures shown of each source; --json has more of them. */
const shownProblems = 5;

export async function listSources(api: Api, { json }: { json?: boolean }): Promise<void> {
  const reply = await api.get('/ingest', sourcesReplySchema);
  if (json) {
    say(JSON.stringify(reply, null, 2));
    return;
  }
  const head = ['SOURCE', 'STATE', 'LAST SCAN', 'FOUND', 'CLAIMED', 'RUNNING', 'DONE', 'FAILED'];
  say(table([[...head, 'LOST'], ...reply.sources.map(row)]));
  for (const line of reply.sources.flatMap(problemsOf)) note(line);
}

export async function pauseSource(api: Api, name: string): Promise<void> {
  const source = await api.post(`/ingest/${encodeURIComponent(name)}/pause`, {}, sourceReplySchema);
  const ours = source.claimed + source.running;
  const rest = ours === 0 ? '' : `; jobs already taken continue: ${ours}`;
  say(`${plain(source.name)} is paused and takes no more jobs${rest}`);
}

export async function resumeSource(api: Api, name: string): Promise<void> {
  const source = await api.post(
    `/ingest/${encodeURIComponent(name)}/resume`,
    {},
    sourceReplySchema,
  );
  say(`${plain(source.name)} takes jobs again`);
}

function row(source: IngestSourceView): string[] {
  const counts = [
    source.found,
    source.claimed,
    source.running,
    source.done,
    source.failed,
    source.lost,
  ];
  return [
    plain(source.name),
    source.paused ? `paused by ${plain(source.paused.by)}` : 'on',
    source.last_scan ?? '-',
    ...counts.map(String),
  ];
}

/**
 * Lists a source's problems, one line each. An error counts until a later scan completes.
 */
export function problemsOf(source: IngestSourceView): string[] {
  const { last_error: error, last_scan: scan, problems, problem_count: count } = source;
  const name = plain(source.name);
  const lines = problems
    .slice(0, shownProblems)
    .map(({ where, message }) => `${where === null ? '' : `${plain(where)}: `}${plain(message)}`);
  if (error && (scan === null || Date.parse(error.at) > Date.parse(scan)))
    lines.unshift(`${error.at}: ${plain(error.message)}`);
  if (count > shownProblems) lines.push(`${count - shownProblems} more problems; --json has them`);
  return lines.map((line) => `${name}: ${line}`);
}
