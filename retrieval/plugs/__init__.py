"""Verified retrieval for other people's programs; each module needs the package it is named after (`dkg[plugs]`).

| module       | for                                                                                  |
|--------------|--------------------------------------------------------------------------------------|
| `langchain`  | LangChain: a retriever                                                               |
| `llamaindex` | LlamaIndex: a retriever                                                              |
| `mcp`        | the Model Context Protocol: a server with four tools                                 |
| `proxy`      | any OpenAI-compatible endpoint: a proxy that adds facts to questions, and citations to answers |
| `openai`     | what of the OpenAI protocol the proxy reads and writes                               |
"""
