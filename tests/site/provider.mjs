// npm oidc-provider with its own sign-in pages, as strict as it comes: PKCE is a must, and addresses are told by userinfo.
// Usage: node provider.mjs FOLDER, where FOLDER/node_modules has it. Prints its address.
import { createRequire } from 'node:module';
import http from 'node:http';

const { Provider } = await import(createRequire(`${process.argv[2]}/`).resolve('oidc-provider'));
const server = http.createServer((request, response) => provider.callback()(request, response));
let provider;
server.listen(0, '127.0.0.1', () => {
  const address = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(address, {
    clients: [{
      client_id: 'relink', client_secret: 'secret', redirect_uris: ['https://relink.test/sign-in/return'],
    }],
    pkce: { required: () => true },
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, email: sub, email_verified: true }) }),
  });
  console.log(address);
});
