# sealpost on Debian's Node 24, without build tools: the sources run as they are.
# Never on Alpine: the pinned Node packages of a checkout are glibc builds, and so is what was tested.
FROM node:24-bookworm-slim

ENV NODE_ENV=production \
    UV_THREADPOOL_SIZE=16 \
    SEALPOST_ADDRESS=0.0.0.0

WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force
COPY bin bin
COPY src src
COPY config config
COPY LICENSE ./

# Root owns the program, the gateway owns its state only.
RUN mkdir -p certs data && chmod 0700 certs data && chown node:node certs data
USER node

# config: sealpost.yaml and partners/, read only if you like; certs: TLS and the queue key; data: the queue.
VOLUME ["/app/config", "/app/certs", "/app/data"]
EXPOSE 2525

# The running gateway writes where its admin listener is; it is healthy while that answers.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "const {admin}=JSON.parse(require('fs').readFileSync('data/gateway.json','utf8'));fetch(`http://${admin.address.includes(':')?`[${admin.address}]`:admin.address}:${admin.port}/healthz`).then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]

# As process 1 node leaves signals to the program, which handles SIGTERM and SIGHUP itself.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "bin/sealpost.mjs"]
CMD ["start"]
