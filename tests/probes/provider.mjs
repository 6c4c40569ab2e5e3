// A real OpenID provider (npm oidc-provider) that rotates refresh tokens and kills the grant when an old one comes back.
// Usage: node provider.mjs FOLDER, where FOLDER/node_modules has it. Prints its address.
// POST /-/grant?client=… makes a grant and answers its refresh token; /-/revoke?token=… ends one;
// /-/count says how many refreshes came; /-/delay?ms=… keeps its answers back for so long, after they were decided.
import { createRequire } from 'node:module';
import http from 'node:http';

const require = createRequire(`${process.argv[2]}/`);
const { Provider } = await import(require.resolve('oidc-provider'));

let provider;
let refreshes = 0;
let delay = 0;

function settings() {
  return {
    clients: ['basic', 'post'].map((method) => ({
      client_id: method,
      client_secret: 'a client secret/with+odd characters',
      token_endpoint_auth_method: `client_secret_${method}`,
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['https://product.example/callback'],
    })),
    features: { introspection: { enabled: true }, devInteractions: { enabled: false } },
    rotateRefreshToken: true,
    ttl: { AccessToken: 3600, RefreshToken: 14 * 86400, Grant: 14 * 86400, IdToken: 3600 },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  };
}

async function grant(clientId) {
  const [client, accountId] = [await provider.Client.find(clientId), 'bob'];
  const made = new provider.Grant({ accountId, clientId });
  made.addOIDCScope('openid offline_access');
  const authTime = Math.floor(Date.now() / 1000);
  const token = new provider.RefreshToken({
    client, accountId, authTime, grantId: await made.save(), gty: 'authorization_code', scope: 'openid offline_access',
    claims: {}, iiat: authTime, rotations: 0,
  });
  return token.save();
}

async function revoke(value) {
  const token = await provider.RefreshToken.find(value);
  await (await provider.Grant.find(token.grantId)).destroy();
  await token.destroy();
  return '';
}

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  switch (url.pathname) {
    case '/-/grant': return response.end(await grant(url.searchParams.get('client')));
    case '/-/revoke': return response.end(await revoke(url.searchParams.get('token')));
    case '/-/count': return response.end(String(refreshes));
    case '/-/delay': delay = Number(url.searchParams.get('ms')); return response.end();
    case '/token':
      refreshes += 1;
      if (delay) {
        const [end, wait] = [response.end.bind(response), delay];
        response.end = (...rest) => { setTimeout(() => end(...rest), wait); return response; };
      }
  }
  return provider.callback()(request, response);
});
server.listen(0, '127.0.0.1', () => {
  const address = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(address, settings());
  console.log(address);
});
