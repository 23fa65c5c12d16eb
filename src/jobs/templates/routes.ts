import { z } from 'zod';
import type { Api } from '../../http/api.js';
import { endpoint } from '../../http/endpoint.js';
import { json } from '../../http/reply.js';
import type { TemplateLibrary } from './library.js';
import { templateFileSchema } from './template.js';

const commandsReplySchema = z.strictObject({
  commands: z.array(z.strictObject({ command_key: z.string(), ...templateFileSchema.shape })),
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
      errors: ['not_found', 'unprocessable'],
    },
    async () => {
      const keys = await templates.keys();
      const found = await Promise.all(keys.map((key) => templates.get(key)));
      const commands = found.map(
        ({ commandKey, description, dataset, command, script, args, params }) => ({
          command_key: commandKey,
          ...{ description, dataset, command, script, args, params },
        }),
      );
      return { commands };
    },
  );
}
