import { expect, test } from '@jest/globals';
import { GitLabRequests } from '../../src/ingest/gitlab/request.js';
import { nextPage } from '../../src/ingest/gitlab/pages.js';
import { whyPassedBy } from '../../src/ingest/gitlab/scan-project.js';
import { parseJobTypes } from '../../src/ingest/gitlab/job-types.js';
import { whyUnmapped } from '../../src/ingest/gitlab/submit-fields.js';
import type { GitLabProject } from '../../src/ingest/gitlab/client.js';
import { messageOf } from '../message-of.js';

const url = new URL('https://git.example/api/v4/projects');
const requests = new GitLabRequests({ url: url.origin, token: 'glpat-secret' });
const reply = (status: number, location?: string) => ({
  status,
  headers: new Headers(location === undefined ? {} : { location }),
  body: '{"message":"words"}',
});

test.each([
  [
    401,
    'Authentication failed: GitLab at https://git.example refuses the token (401: words); it may be wrong, expired or revoked',
  ],
  [
    403,
    'Authentication failed: GitLab does not let this token do that (403: words); it needs the scope api, and its user the role Developer',
  ],
  [404, 'not found (404: words)'],
  [422, 'GitLab refuses (422: words)'],
  [429, 'GitLab at https://git.example gets too many requests (429: words)'],
  [500, 'GitLab at https://git.example cannot answer now (500: words)'],
])('GitLab’s %d is told in our words', (status, message) => {
  expect(requests.errorOf(reply(status), url).message).toBe(message);
});

test('a redirection, and a long wait, are told in our words', () => {
  expect(requests.errorOf(reply(302, 'https://other.example/x'), url).message).toBe(
    'GitLab at https://git.example redirects to https://other.example: use that as its URL (JR_GITLAB_URL or --gitlab-url)',
  );
  expect(requests.errorOf(reply(429), url, 7_200_000).message).toBe(
    'GitLab at https://git.example asks to be left alone for 120 minutes (429: words)',
  );
});

test.each<[string, () => unknown]>([
  [
    'No GitLab token provided: set GITLAB_TOKEN, or give --token',
    () => new GitLabRequests({ url: url.origin, token: '' }),
  ],
  [
    'the GitLab token: expected printable characters without spaces',
    () => new GitLabRequests({ url: url.origin, token: 'two words' }),
  ],
  [
    'the GitLab URL: expected http(s)://host, without user, ? or #',
    () => new GitLabRequests({ url: 'ftp://git.example', token: 'x' }),
  ],
  [
    'the GitLab URL: expected an http(s) URL',
    () => new GitLabRequests({ url: 'git.example', token: 'x' }),
  ],
  [
    'GitLab at https://git.example names https://other.example for its next page: use that as its URL (JR_GITLAB_URL or --gitlab-url)',
    () => nextPage(new Headers({ link: '<https://other.example/x>; rel="next"' }), url),
  ],
])('%s', (message, act) => {
  expect(messageOf(act)).toBe(message);
});

test('a project that is passed by says why', () => {
  const project = { hasRepository: true, isEmpty: false, defaultBranch: 'main', archived: false };
  const why = (more: Partial<GitLabProject>) =>
    whyPassedBy({ ...project, ...more } as GitLabProject);
  expect(why({})).toBeUndefined();
  expect(why({ hasRepository: false })).toBe('its repository is switched off');
  expect(why({ isEmpty: true })).toBe('its repository is empty');
  expect(why({ defaultBranch: undefined })).toBe('it has no default branch');
  expect(why({ archived: true })).toBe(
    'it is archived: nothing can be written there, so no job is claimed',
  );
});

test('a type that is not mapped, and a mapping that cannot be used, name the remedy', () => {
  expect(whyUnmapped({ job_type: 'other' }, parseJobTypes('training: shell'))).toBe(
    'job_type: "other" has no command key here; the file of JR_GITLAB_JOB_TYPES maps types',
  );
  expect(() => parseJobTypes('- training')).toThrow(/^JR_GITLAB_JOB_TYPES: unusable file: /);
});
