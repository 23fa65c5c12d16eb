import { z } from 'zod';
import type { Api } from '../../http/api.js';
import { endpoint } from '../../http/endpoint.js';
import { json } from '../../http/reply.js';
import type { ListedTemplate, TemplateLibrary } from './library.js';
import { problemText } from './problem.js';
import { templateFileSchema } from './template.js';

const commandSchema = z.strictObject({
  command_key: z.string(),
  replaces_builtin: z.boolean().describe('A template of JR_TEMPLATES in place of a built-in one.'),
  problem: z.string().optional().describe('Why the template cannot be used: file, line, field.'),
  warnings: z.array(z.string()).describe('Likely mistakes in the template.'),
  ...templateFileSchema.partial().shape,
});

const commandsReplySchema = z.strictObject({
  commands: z.array(commandSchema),
  problem: z.string().optional().describe('Why the folder of JR_TEMPLATES is not used.'),
});

/** Mounts `GET /commands`. */
export function commandRoutes(api: Api, templates: TemplateLibrary): void {
  endpoint(
    api,
    {
      method: 'get',
      path: '/commands',
      role: 'reader',
      summary: 'List the templates and their inputs',
      reply: json(commandsReplySchema),
      errors: [],
    },
    async () => {
      const { templates: found, folderProblem } = await templates.list();
      return {
        commands: found.map(view),
        ...(folderProblem !== undefined && { problem: folderProblem }),
      };
    },
  );
}

function view({ commandKey, template, problems, warnings, replacesBuiltIn }: ListedTemplate) {
  const { description, dataset, command, script, args, params } = template ?? {};
  return {
    command_key: commandKey,
    replaces_builtin: replacesBuiltIn,
    ...(problems.length > 0 && { problem: problems.map(problemText).join('; ') }),
    warnings: warnings.map(problemText),
    ...(template && { description, dataset, command, script, args, params }),
  };
}
