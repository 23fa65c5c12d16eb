/**
 * Measures one transfer by curl, without curl's own start.
 * @param {import('../workspace.js').Workspace} workspace
 * @param {number[]} expected HTTP statuses
 * @param {string[]} args
 * @returns {Promise<{ seconds: number, downloaded: number }>}
 */
export async function curl(workspace, expected, args) {
  const { stdout } = await workspace.run('curl', [
    ...['--silent', '--show-error', '--noproxy', '*', '--output', '/dev/null'],
    ...['--write-out', '%{http_code} %{time_total} %{size_download}'],
    ...args,
  ]);
  const [status, seconds, downloaded] = String(stdout).split(' ').map(Number);
  if (status === undefined || seconds === undefined || downloaded === undefined)
    throw new Error(`curl wrote ${String(stdout)}`);
  if (!expected.includes(status))
    throw new Error(`curl ${args.at(-1)}: HTTP status ${status}, not ${expected.join(' or ')}`);
  return { seconds, downloaded };
}
