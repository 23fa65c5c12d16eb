import { GitLabError } from './errors.js';

/**
 * Reads the next page’s URL from the `Link` header (RFC 8288). GitLab asks clients to follow its
 * links unchanged (docs.gitlab.com/api/rest, “Pagination `Link` header”).
 * @param from the page’s own URL; a link to another origin is an error, since the token would go
 *   there
 * @returns undefined after the last page
 */
export function nextPage(headers: Headers, from: URL): URL | undefined {
  const link = headers.get('link');
  if (link === null) return undefined;
  for (const [, target = '', parameters = ''] of link.matchAll(/<([^<>]*)>((?:\s*;[^,<]*)*)/g)) {
    if (!/;\s*rel\s*=\s*(?:"next"|next\s*(?:;|$))/i.test(parameters)) continue;
    if (!URL.canParse(target, from.href))
      throw new GitLabError('GitLab’s link to the next page is not a URL');
    const next = new URL(target, from.href);
    if (next.origin !== from.origin)
      throw new GitLabError(
        `GitLab at ${from.origin} names ${next.origin} for its next page: use that as its URL (JR_GITLAB_URL or --gitlab-url)`,
      );
    if (next.href === from.href)
      throw new GitLabError('GitLab’s link to the next page points to the same page');
    return next;
  }
  return undefined;
}
