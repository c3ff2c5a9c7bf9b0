from hypothesis import given
from hypothesis import strategies as st
from similar_ledgers import SETTINGS, ledgers, relations

from state.similar.changes import messages
from state.similar.message import PROMPT, VERSION, read_message
from state.similar.policy import PublishPolicy
from state.similar.row import ItemRow


def sent(policy: PublishPolicy, *fields, flags: int = 0):
    due = policy.note([VERSION, flags, *fields])
    if due.row:
        policy.row_published()
    if due.total:
        policy.total_told()
    return due


class TestPublishPolicy:
    def test_the_first_appearance_is_published(self):
        due = sent(PublishPolicy(), 600, 64, 1, "b", 64, 1)
        assert due.row
        assert due.total

    def test_a_partner_of_an_item_whose_own_count_stays(self):
        policy = PublishPolicy()
        sent(policy, 600, 64, 1)
        due = sent(policy, 600, 0, 0, "b", 32, 1)
        assert due.row
        assert not due.total

    def test_little_by_little_adds_up_to_an_eighth(self):
        policy = PublishPolicy()
        sent(policy, 600, 1600, 1)
        dues = [sent(policy, 600, 10, 1) for _ in range(43)]
        # 200 of 1600, then 225 of 1800
        assert [at for at, due in enumerate(dues, 1) if due.row] == [20, 43]
        assert [at for at, due in enumerate(dues, 1) if due.total] == [20, 43]

    def test_changes_up_and_down_do_not_cancel(self):
        policy = PublishPolicy()
        sent(policy, 600, 1600, 1, "a", 0, 0)
        assert not sent(policy, 600, 0, 0, "a", 140, 1).row
        assert sent(policy, 600, 0, 0, "a", -140, -1, "b", 140, 1).row

    def test_a_prompt_message_is_published_however_small(self):
        policy = PublishPolicy()
        sent(policy, 600, 1 << 40, 1)
        due = sent(policy, 600, -1, -1, flags=PROMPT)
        assert due.row
        assert due.total

    def test_the_end_of_an_item_is_told(self):
        policy = PublishPolicy()
        sent(policy, 600, 64, 1, "b", 64, 1)
        due = sent(policy, 590, -(64 << 10), -1, "b", -(64 << 10), -1)
        assert due.row
        assert due.total
        assert policy.total[0] == 0

    def test_it_asks_for_compaction_after_16_messages_or_an_eighth_of_the_partners(self):
        policy = PublishPolicy()
        assert [policy.note([VERSION, 0, 600, 64, 1]).compact for _ in range(16)] == [False] * 15 + [True]
        row = ItemRow()
        row.apply([VERSION, 0, 600, 1, 1, *(field for at in range(160) for field in (str(at), 1, 1))])
        policy.compacted(row)
        assert [policy.note([VERSION, 0, 600, 64, 1]).compact for _ in range(20)] == [False] * 19 + [True]

    @given(st.data(), relations)
    def test_its_total_is_always_the_rows(self, data, relation):
        history = data.draw(st.lists(ledgers(relation), max_size=4))
        policies: dict[str, bytes] = {}
        rows: dict[str, ItemRow] = {}
        for old, new in zip([(), *history], history, strict=False):
            for item, message in messages(relation, old, new, SETTINGS):
                fields = read_message(message)
                policy = PublishPolicy.unpack(policies.get(item))
                policy.note(fields)
                policies[item] = policy.pack()
                row = rows.setdefault(item, ItemRow())
                row.apply(fields)
                number, base = policy.total
                of_row, row_base = row.total
                assert number << base == of_row << row_base
