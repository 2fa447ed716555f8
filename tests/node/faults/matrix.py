"""The fault matrix: for each row what is injected where, and how many cases each run of the tests tries.

`python -m tests.node.faults.matrix` prints the table of docs/faults.md; `test_matrix.py` compares the two, and this
with the tests that it names.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from tests.mutation.catalogue import MUTATIONS
from tests.mutation.test_mutated_proofs import COUNT

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Place:
    """One test. `each`: cases in one run of it; pytest's parameters come on top (`params` counts them).

    `more`: parameters that come with fixtures, so that they are not seen here.
    """

    file: str
    test: str
    each: int = 1
    more: int = 1

    @property
    def module(self) -> str:
        return "tests." + self.file.replace("/", ".")

    @property
    def path(self) -> str:
        return f"tests/{self.file}.py"

    @property
    def function(self) -> Any:  # noqa: ANN401 - a test
        return getattr(importlib.import_module(self.module), self.test)

    def params(self) -> int:
        """How often pytest runs it."""
        marks = [one for one in getattr(self.function, "pytestmark", []) if one.name == "parametrize"]
        return prod(len([*one.args[1]]) for one in marks) * self.more

    @property
    def cases(self) -> int:
        return self.params() * self.each


@dataclass(frozen=True, slots=True)
class Row:
    """`wanted`: cases in CI that the matrix asks for."""

    name: str
    fault: str
    outcome: str
    wanted: int
    places: tuple[Place, ...]

    @property
    def cases(self) -> int:
        return sum(one.cases for one in self.places)


def places(file: str, *tests: str | tuple[str, int]) -> tuple[Place, ...]:
    """Tests of one file, each by its name, or with its cases."""
    return tuple(Place(file, one) if isinstance(one, str) else Place(file, *one) for one in tests)


CRASH = "node/publish/test_crash"
STORAGE = "node/storage/test_faults"
BOMBS = "node/workers/test_bombs"
HOSTILE = "node/http/test_hostile"
REPLAYS = "dkg/client/test_anchored_replays"
ATTACKS = "dkg/client/test_anchored_attacks"
NETWORK = "node/replication/test_simulated_network"
REPLICATE = "node/replication/test_replicate"
CORE = "sim/test_core_histories"
ECLIPSE = "node/peers/test_eclipse"
LEAKS = "node/private/test_leaks"
CHAINFILE = "node/core/test_chainfile"
WHOLE = "test_whole_nodes_keep_every_invariant_under_every_fault"
MUTATED = COUNT // len(MUTATIONS)
"""Proofs that are altered in one way."""

SEEDS = 10
"""Seeds of one run of `WHOLE`."""

ROWS = (
    Row(
        "A1",
        "crash at each step of a publish",
        "the next start resumes or undoes it; one commit for each request",
        42,
        places(
            CRASH,
            "test_a_crash_at_any_step_loses_nothing_and_repeats_nothing",
            "test_a_crash_in_the_first_publish_of_a_home_is_resumed_by_the_same_request",
            ("test_crash_after_crash_still_ends_with_one_commit_each", 3),
        ),
    ),
    Row(
        "A2",
        "kill -9 under load",
        "all that was acknowledged is there, the check finds nothing",
        100,
        (
            *places(STORAGE, ("test_a_node_that_is_killed_again_and_again_has_all_that_it_said", 100)),
            *places(
                "node/core/test_process",
                ("test_a_node_that_is_killed_again_and_again_under_load_loses_nothing_it_acknowledged", 20),
            ),
            *places(
                "node/faults/test_kills",
                ("test_nodes_that_are_killed_under_load_have_everything_that_they_acknowledged", 4),
            ),
            *places("dkg/client/test_kill", ("test_killed_loads_leave_the_old_root_or_the_new_one", 8)),
        ),
    ),
    Row(
        "A3",
        "EIO and kills at the n-th system call",
        "a `StoreError` or a clean end, no write after a refused one, the check finds nothing",
        100,
        places(STORAGE, ("test_a_system_call_that_fails_or_kills_leaves_a_whole_node", 100)),
    ),
    Row(
        "A4",
        "fsync fails",
        "nothing more is written until the node is started again",
        2,
        (
            *places("dkg/client/test_database", "test_after_a_refused_write_nothing_more_is_written"),
            *places(CHAINFILE, "test_a_disk_that_refuses_ends_the_writing_and_not_the_reading"),
        ),
    ),
    Row(
        "A5",
        "power cut: what was not synced is lost or torn",
        "the last acknowledged state, whole",
        300,
        places(STORAGE, ("test_a_power_cut_at_any_moment_leaves_what_was_said_last", 300)),
    ),
    Row(
        "A6",
        "a bit flips at rest",
        "found before it is used, never served; pages come back from peers",
        200,
        (
            *places(STORAGE, ("test_a_flipped_bit_is_never_served_and_is_found", 200)),
            *places(
                "node/faults/test_bits", ("test_a_bit_that_flips_while_a_node_is_down_is_found_or_changes_nothing", 200)
            ),
            *places(
                "node/core/test_mending",
                "test_damaged_pages_come_back_from_a_peer",
                "test_a_peer_that_sends_other_pages_is_penalised_and_another_is_asked",
            ),
            *places("node/storage/test_sealed", ("test_a_flipped_bit_is_found_or_changed_nothing", 200)),
            *places(CHAINFILE, ("test_a_bit_that_flips_anywhere_is_never_read_as_something_else", 60)),
            *places("node/test_keys", "test_no_damaged_field_gives_another_key"),
        ),
    ),
    Row(
        "A7",
        "disk full, then room again",
        "507 with Retry-After, reads go on, nothing half done, recovers unaided",
        20,
        (
            *places("node/storage/test_quota", ("test_a_real_full_disk_keeps_what_was_kept_and_recovers", 20)),
            *places(
                "node/faults/test_full_disk",
                ("test_a_node_whose_disk_is_full_refuses_what_comes_answers_and_recovers_unaided", 20),
            ),
            *places("dkg/client/test_full_disk", "test_a_database_that_may_not_grow_keeps_its_old_head"),
        ),
    ),
    Row(
        "B4",
        "the chain's endpoint is down, slow, busy or breaks off",
        "what was final is served with its age; publishing waits; pauses grow, with jitter",
        60,
        (
            *places(ATTACKS, "test_what_was_final_is_served_with_its_age_while_the_endpoint_fails"),
            *places("node/publish/test_outage", "test_a_fault_that_passes_delays_and_nothing_more"),
            *places(
                "dkg/client/test_rpc",
                "test_every_fault_of_an_endpoint_is_a_chain_error",
                "test_a_reconnect_storm_is_bounded",
                "test_an_endpoint_that_comes_back_in_time_is_answered",
            ),
            *places("node/core/test_standings", "test_while_the_endpoint_is_down_answers_grow_old_and_say_so"),
            *places(
                "node/core/test_uploads",
                "test_a_commit_that_does_not_fit_while_the_chain_does_not_answer_may_be_sent_again",
            ),
        ),
    ),
    Row(
        "C1",
        "a peer adds, alters or swaps",
        "`ProofError`, the peer is penalised, another one is asked",
        2_000,
        (
            *places(REPLICATE, ("test_two_thousand_bent_answers_and_none_is_accepted", 100)),
            *places("mutation/test_mutated_proofs", ("test_a_mutated_proof_is_refused", MUTATED)),
        ),
    ),
    Row(
        "C2",
        "a peer leaves out",
        "the proof is not complete: `ProofError`",
        2_000,
        (
            *places(REPLICATE, ("test_two_thousand_bent_answers_and_none_is_accepted", 100)),
            *places("mutation/test_mutated_proofs", "test_a_proof_without_one_of_its_pages_is_refused"),
        ),
    ),
    Row(
        "C3",
        "a stale root with a valid proof",
        "taken within the bound that the caller set, never behind what was final",
        200,
        places(
            REPLAYS,
            ("test_a_stale_head_is_taken_only_within_the_bound_and_never_behind_what_was_final", 15),
            ("test_a_proof_of_an_older_root_is_refused_by_every_later_head", 105),
        ),
    ),
    Row(
        "C4",
        "a proof replayed: other query, publisher, registry, chain",
        "refused",
        500,
        places(REPLAYS, ("test_no_proof_holds_for_another_query_publisher_registry_or_chain", 500)),
    ),
    Row(
        "C5",
        "too much: at the limit, over it, without end, a length that lies",
        "cut off at the limit before it is parsed",
        50,
        (
            *places(
                "node/faults/test_proof_bombs",
                "test_a_proof_at_its_limit_is_read_and_one_byte_more_is_not",
                "test_what_is_too_long_is_not_read_further_than_its_limit",
                "test_what_is_too_long_once_it_is_decompressed_is_cut_off_at_its_limit",
            ),
            *places(
                "node/peers/test_frames",
                "test_a_lying_length_is_refused_before_a_byte_of_it_is_read",
                "test_an_answer_over_the_limit_is_the_peer_s_fault_and_ends_the_link",
                "test_a_request_over_the_limit_is_refused_before_it_is_read",
            ),
            *places(
                "dkg/client/test_rpc",
                "test_an_endless_answer_is_cut_and_not_asked_for_again",
                "test_a_length_that_lies_is_not_believed",
            ),
        ),
    ),
    Row(
        "C6",
        "little that becomes much: depth, width, cycles, huge numbers, compression",
        "`ProofError`, 16 MiB of memory at most",
        500,
        (
            *places("node/faults/test_proof_bombs", ("test_bombs_are_refused_and_take_little_memory", 500)),
            *places("dkg/test_page", "test_a_nesting_bomb_is_refused"),
        ),
    ),
    Row(
        "C7",
        "equivocation: two commits of one number",
        "evidence that a third party can check; the second is refused",
        100,
        places(
            "dkg/chain/test_equivocation",
            ("test_every_pair_of_stories_is_evidence_and_stays_so", 100),
            ("test_no_alteration_of_evidence_accuses_anybody", 100),
        ),
    ),
    Row(
        "C8",
        "parts of different valid answers; one witness twice; unsigned time",
        "refused: the five CVEs by name",
        305,
        (
            *places(
                REPLAYS,
                ("test_parts_of_different_answers_do_not_make_one", 300),
                "test_a_valid_entry_of_another_publisher_is_refused_cve_2022_36056",
                "test_a_valid_entry_that_is_not_that_of_the_head_is_refused_cve_2024_53267",
                "test_a_block_is_taken_only_with_the_hash_of_its_contents_cve_2024_54140",
                "test_time_is_that_of_the_block_and_of_nothing_unsigned_cve_2026_48816",
            ),
            *places("dkg/client/test_quorum", "test_two_names_of_one_endpoint_are_one_witness_cve_2026_49834"),
        ),
    ),
    Row(
        "C9",
        "slow readers, floods of connections and requests, gossip",
        "quotas of each client and peer; the others are answered as before",
        10,
        (
            *places("node/faults/test_slow_clients", "test_a_crowd_that_means_ill_takes_nothing_from_the_others"),
            *places(NETWORK, "test_an_honest_peer_is_served_as_fast_while_others_flood"),
            *places(
                ECLIPSE,
                "test_a_flood_of_connections_is_cut_off_before_any_handshake",
                "test_a_flood_of_connections_from_one_network_leaves_room_for_others",
            ),
            *places(
                "node/http/test_server",
                "test_connections_of_one_client_and_of_all",
                "test_nothing_grows_under_misbehaviour",
                "test_a_client_that_does_not_read_is_cut_off",
            ),
        ),
    ),
    Row(
        "D1",
        "XML bombs and external entities",
        "refused before anything grows",
        10,
        places(BOMBS, ("test_d1_xml_bombs_are_refused", 10)),
    ),
    Row(
        "D2",
        "deep queries and documents, up to 10^6",
        "400 or 413 from a scan; the worker lives",
        60,
        places(
            BOMBS,
            ("test_d2_nested_queries_never_crash_and_are_refused_when_deep", 26),
            ("test_d2_nested_documents_never_crash_and_are_refused_when_deep", 12),
            ("test_d2_json_ld_terms_that_are_defined_by_each_other", 9),
        ),
    ),
    Row(
        "D3",
        "dear queries: products, paths, growth, sorting, VALUES",
        "408 or 413 in time; others are answered meanwhile",
        40,
        (
            *places(
                BOMBS,
                ("test_d3_dear_queries_over_pages_end_in_time", 12),
                ("test_d3_dear_queries_over_a_view_end_in_time", 12),
                ("test_d3_paths_over_a_dense_graph_end_in_time", 3),
                ("test_d3_long_queries_are_refused_before_anybody_works_for_them", 16),
            ),
            *places(HOSTILE, "test_a_query_that_is_meant_to_harm"),
        ),
    ),
    Row(
        "D4",
        "huge literals, long names, many quads",
        "413 by counting",
        20,
        (
            *places(
                BOMBS,
                ("test_d4_huge_literals_are_refused_in_every_syntax", 5),
                ("test_d4_documents_at_the_limit_and_one_byte_over", 2),
                ("test_d4_long_names_and_many_quads", 5),
            ),
            *places(HOSTILE, "test_a_document_that_is_meant_to_harm"),
        ),
    ),
    Row(
        "D5",
        "poison blank nodes: cliques, rings, grids, the W3C's",
        "labelled or refused within bounded work",
        20,
        (
            *places(
                BOMBS,
                ("test_d5_poisonous_blank_nodes_are_labelled_or_refused", 16),
                ("test_d5_the_poison_of_the_w3c_suite", 3),
            ),
            *places(
                "dkg/test_canon",
                "test_attack_a_clique_is_refused",
                "test_attack_two_hubs_with_leaves_that_look_alike_are_refused",
                "test_attack_a_chain_so_long_that_one_walk_along_it_is_too_much_is_refused",
                "test_attack_a_long_chain_of_look_alikes_is_refused_before_the_stack_ends",
            ),
        ),
    ),
    Row(
        "D6",
        "SERVICE, LOAD, FROM, remote contexts, entities, files",
        "no packet leaves, no file is read",
        40,
        (
            *places(
                "node/faults/test_outside",
                ("test_no_query_makes_a_node_ask_anybody", 2),
                "test_no_parameter_makes_a_node_ask_anybody",
                "test_no_document_makes_a_node_ask_anybody",
            ),
            *places(
                "node/workers/test_sandbox",
                "test_no_packet_leaves_even_if_the_scanner_let_it_through",
                "test_nothing_that_names_an_address_connects_to_it",
            ),
        ),
    ),
    Row(
        "D7",
        "text of two meanings, one meaning of many spellings",
        "one canonical form and one root, or refused",
        500,
        places(
            "node/faults/test_spellings",
            ("test_however_it_is_written_it_has_one_root", 500),
            "test_what_is_the_same_and_what_is_not",
            "test_what_has_no_one_meaning_is_refused",
        ),
    ),
    Row(
        "F3",
        "reading what is private without a grant: forms of queries, roles, ways",
        "not a byte, and the same words as for what does not exist",
        300,
        places(
            LEAKS,
            "test_a_form_of_query_shows_what_is_private_to_its_readers_alone",
            "test_a_proof_of_a_private_part_is_for_its_readers_alone",
            "test_the_asset_itself_shows_its_private_part_to_its_readers_alone",
            "test_what_is_not_granted_and_what_does_not_exist_are_refused_in_the_same_words",
            "test_nothing_else_that_the_node_answers_has_a_private_byte",
        ),
    ),
    Row(
        "G1",
        "clocks that are wrong, by a second to ten years",
        "a wrong clock refuses more, and never makes what is old young",
        40,
        places(ATTACKS, "test_a_clock_that_is_wrong_never_makes_what_is_old_young"),
    ),
    Row(
        "G2",
        "an eclipse by 10 to 1,000 keys, a poisoned book at the start",
        "pinned peers get in; caps of each network hold",
        50,
        (
            *places(
                ECLIPSE,
                ("test_one_network_gets_few_connections_whatever_keys_it_has", 1),
                ("test_many_networks_fill_the_inbound_places_and_pinned_peers_come_in_all_the_same", 1),
                ("test_a_node_connects_to_few_of_one_network_and_always_to_pinned_peers", 100),
                "test_the_places_of_connections_that_a_node_makes_are_not_taken_by_those_that_others_make",
                "test_one_network_gets_few_places_in_the_book_and_pushes_out_its_own",
                "test_the_book_is_there_again_after_a_restart_and_a_poisoned_one_changes_nothing_about_pinned_peers",
                "test_a_damaged_book_is_an_empty_one",
            ),
        ),
    ),
    Row(
        "G3",
        "partitions, one-way links, loss, delay, doubles, slow peers",
        "I1 to I9 hold throughout, and all converge afterwards",
        200,
        (
            *places(CORE, (WHOLE, SEEDS)),
            *places(
                NETWORK,
                "test_three_to_six_nodes_and_a_liar_converge_after_every_fault",
                "test_ten_nodes_with_liars_of_every_kind_converge_after_every_fault",
                "test_a_majority_of_liars_of_one_kind_stops_nobody",
            ),
        ),
    ),
)


def table(rows: Iterable[Row] = ROWS) -> str:
    """The table of docs/faults.md."""
    lines = ["| row | fault | expected | injected by | cases in CI | asked for |", "|---|---|---|---|--:|--:|"]
    for row in rows:
        files = "<br>".join(f"`{path}`" for path in dict.fromkeys(one.path for one in row.places))
        lines.append(f"| {row.name} | {row.fault} | {row.outcome} | {files} | {row.cases:,} | {row.wanted:,} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
