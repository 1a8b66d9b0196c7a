'use strict'

const path = require('node:path')

module.exports = {
  rootDir: __dirname,
  testMatch: ['<rootDir>/*.jest.js'],
  moduleNameMapper: { '^smokesignal$': path.join(__dirname, '..', '..', '..') },
}
