'use strict'

const smokesignal = require('./lib/smokesignal')

const { createNode, localIp, optionsFromEnv } = smokesignal
const { Node, Peer, Peerlist, Broadcast, SmokeError } = smokesignal

// Written out, so that programs that are ES modules find the names.
module.exports = {
  createNode,
  localIp,
  optionsFromEnv,
  Node,
  Peer,
  Peerlist,
  Broadcast,
  SmokeError,
}
