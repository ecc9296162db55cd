"""What flows where is followed through what the language offers: one forbidden pass in many shapes."""

import textwrap

import pytest

from review.foreign_script import assert_found, script

LEARN = """
def learn(model, x, y, rule):
    model(x, y).backward()
    rule.step()  # here
    rule.zero_grad()

def pairs(words, width):
    for begin in range(0, len(words) - width, width):
        yield words[begin : begin + width][None].cuda(), words[begin + 1 : begin + width + 1][None].cuda()

def whole(model, words, s, rate=1e-3):
    rule = torch.optim.SGD(model.parameters(), lr=rate)
    for x, y in pairs(words, s.window):
        learn(model, x, y, rule)
    return model
"""
CALLS = {
    "a lambda": "step = lambda net, text: whole(net, text, s)\nstep(model, words)",
    "a partial with keywords": "functools.partial(whole, words=words, s=s)(model)",
    "a partial of a partial": "functools.partial(functools.partial(whole, s=s), words=words)(model, rate=1e-4)",
    "map": "list(map(lambda text: whole(model, text, s), [words]))",
    "a comprehension": "[whole(model, part, s) for part in words.chunk(8)]",
    "a dict of functions": "stages = {'learn': whole, 'nothing': None}\nstages['learn'](model, words, s)",
    "a list of functions and stars": "for stage, given in [(whole, (model, words, s))]:\n    stage(*given)",
    "keywords from a dict": "given = dict(model=model, words=words, s=s)\nwhole(**given)",
    "a pool of threads": "with ThreadPoolExecutor(2) as pool:\n    pool.submit(whole, model, words, s).result()",
    "a pool that maps": "with ThreadPoolExecutor() as pool:\n    list(pool.map(functools.partial(whole, model, s=s), [words]))",
    "a queue": "todo = queue.Queue()\ntodo.put(words)\nwhole(model, todo.get(), s)",
    "try and finally": "try:\n    pass\nfinally:\n    whole(model, words, s)",
    "an except": "try:\n    model.load(1)\nexcept AttributeError:\n    whole(model, words, s)",
    "a walrus": "if (changed := whole(model, words, s)) is not None:\n    model = changed",
    "a conditional expression": "model = whole(model, words, s) if len(sys.argv) < 9 else model",
    "and": "len(words) and whole(model, words, s)",
    "match": "match os.environ.get('MODE', 'on'):\n    case 'on':\n        whole(model, words, s)\n    case _:\n        pass",
    "numpy and back": "whole(model, torch.from_numpy(words.numpy().astype('int64').copy()), s)",
    "a list and back": "whole(model, torch.tensor([int(one) for one in words]), s)",
    "an attribute": "s.text = words\nwhole(model, s.text, s)",
    "a setattr": "setattr(s, 'text', words)\nwhole(model, getattr(s, 'text'), s)",
    "a dict": "held = {}\nheld['text'] = words\nwhole(model, held.get('text'), s)",
    "a list that was appended to": "held = []\nheld.append(words)\nwhole(model, held[-1], s)",
    "half of the tokens": "whole(model, words[: len(words) // 2], s)",
    "a zip": "for net, text in zip([model], [words]):\n    whole(net, text, s)",
    "a compiled network": "whole(torch.compile(model, dynamic=False), words, s)",
    "a wrapped network": "whole(nn.parallel.DistributedDataParallel(model), words, s)",
    "a function that is defined where it is called": "def now():\n    whole(model, words, s)\nnow()",
    "an asynchronous function": "import asyncio\nasync def now():\n    whole(model, words, s)\nasyncio.run(now())",
    "a nested with": "with torch.enable_grad(), torch.autocast('cuda', dtype=torch.bfloat16):\n    whole(model, words, s)",
    "shuffled rows of a view": (
        "rows = words[: len(words) // 64 * 64].view(-1, 64)\nwhole(model, rows[torch.randperm(len(rows))].flatten(), s)"
    ),
}


@pytest.mark.parametrize("loaded", CALLS.values(), ids=CALLS)
def test_a_function_is_followed_however_it_is_called(tmp_path, loaded):
    assert_found(tmp_path, script(more=LEARN, loaded=loaded), "R5", "ttt_adapt_then_score")


SHAPES = {
    "a class that can be called": (
        """
        class Learner:
            def __init__(self, net, s):
                self.net, self.s = net, s

            def __call__(self, words):
                return whole(self.net, words, self.s)
        """,
        "Learner(model, s)(words)",
    ),
    "an inherited method": (
        """
        class Base:
            def run(self, net, words, s):
                for one in self.parts(words, s):
                    self.each(net, *one)

            def each(self, net, x, y):
                raise NotImplementedError

        class Steps(Base):
            def __init__(self, net):
                self.rule = torch.optim.SGD(net.parameters(), lr=1e-3)

            def parts(self, words, s):
                yield from pairs(words, s.window)

            def each(self, net, x, y):
                learn(net, x, y, self.rule)
        """,
        "Steps(model).run(model, words, s)",
    ),
    "a class method, a static method and a property": (
        """
        class Work:
            @classmethod
            def of(cls, net, words):
                made = cls()
                made.net, made.words = net, words
                return made

            @property
            def text(self):
                return self.words

            @staticmethod
            def go(net, words, s):
                return whole(net, words, s)
        """,
        "work = Work.of(model, words)\nWork.go(work.net, work.text, s)",
    ),
    "a decorator": (
        """
        def timed(function):
            @functools.wraps(function)
            def inner(*given, **named):
                begun = time.time()
                try:
                    return function(*given, **named)
                finally:
                    print("took", time.time() - begun)

            return inner

        @timed
        def everything(net, words, s):
            return whole(net, words, s)
        """,
        "everything(model, words, s=s)",
    ),
    "a context manager": (
        """
        class Learned:
            def __init__(self, net, words, s):
                self.net = whole(net, words, s)

            def __enter__(self):
                return self.net

            def __exit__(self, *given):
                return False
        """,
        "with Learned(model, words, s) as model:\n    pass",
    ),
    "a data class": (
        """
        @dataclass(frozen=True)
        class Task:
            net: object
            words: object
            rate: float = 1e-3
        """,
        "task = Task(net=model, words=words)\nwhole(task.net, task.words, s, task.rate)",
    ),
    "a closure that keeps a list": (
        """
        def keeper(net, s):
            kept = []

            def add(part):
                nonlocal kept
                kept = kept + [part]
                return len(kept)

            def finish():
                return whole(net, torch.cat(kept), s)

            return add, finish
        """,
        "add, finish = keeper(model, s)\nfor part in words.split(s.chunk):\n    add(part)\nfinish()",
    ),
    "recursion": (
        """
        def halves(net, words, s):
            if len(words) <= s.chunk:
                whole(net, words, s)
                return
            middle = len(words) // 2
            halves(net, words[:middle], s)
            halves(net, words[middle:], s)
        """,
        "halves(model, words, s)",
    ),
    "a global name": (
        """
        TEXT = None

        def hold(words):
            global TEXT
            TEXT = words

        def use(net, s):
            whole(net, TEXT, s)
        """,
        "hold(words)\nuse(model, s)",
    ),
    "a generator that is sent on": (
        """
        def source(words, s):
            yield from (one for one in pairs(words, s.window))

        def shuffled(items, size=64):
            held = list(items)
            random.shuffle(held)
            yield from held

        def consume(net, items):
            rule, stream = torch.optim.AdamW(net.parameters(), lr=1e-4), iter(items)
            while (one := next(stream, None)) is not None:
                learn(net, one[0], one[1], rule)
        """,
        "consume(model, shuffled(source(words, s)))",
    ),
    "an optimizer of the script's own": (
        """
        class Plain(torch.optim.Optimizer):
            def __init__(self, params, lr):
                super().__init__(params, dict(lr=lr))

            @torch.no_grad()
            def step(self):
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is not None:
                            p.add_(p.grad.sign(), alpha=-group["lr"])

        def own(net, words, s):
            rule = Plain(net.parameters(), 1e-4)
            for x, y in pairs(words, s.window):
                learn(net, x, y, rule)
        """,
        "own(model, words, s)",
    ),
    "a scaler of gradients": (
        """
        def scaled(model, words, s):
            rule, scaler = torch.optim.AdamW(model.parameters()), torch.amp.GradScaler("cuda")
            for x, y in pairs(words, s.window):
                scaler.scale(model(x, y)).backward()
                scaler.unscale_(rule)
                scaler.step(rule)  # here
                scaler.update()
        """,
        "scaled(model, words, s)",
    ),
    "several optimizers": (
        """
        def several(model, words, s):
            rules = [torch.optim.SGD([p for p in model.parameters() if p.ndim == n], lr=1e-3) for n in (1, 2)]
            for x, y in pairs(words, s.window):
                model(x, y).backward()
                for rule in rules:
                    rule.step()  # here
                for rule in rules:
                    rule.zero_grad()
        """,
        "several(model, words, s)",
    ),
    "an assignment to data": (
        """
        def hand(model, words, s):
            for x, y in pairs(words, s.window):
                model.zero_grad()
                model(x, y).backward()
                for p in model.parameters():
                    p.data = p.data - 1e-3 * p.grad  # here
        """,
        "hand(model, words, s)",
    ),
    "a call with other weights": (
        """
        def hand(model, words, s):
            weights = dict(model.named_parameters())
            for x, y in pairs(words, s.window):
                loss = torch.func.functional_call(model, weights, (x, y))
                slopes = torch.autograd.grad(loss, tuple(weights.values()))  # here
                weights = {name: one - 1e-3 * slope for (name, one), slope in zip(weights.items(), slopes)}
            model.load_state_dict(weights)
        """,
        "hand(model, words, s)",
    ),
    "an average of what was learned": (
        """
        def averaged(model, words, s):
            slow = copy.deepcopy(model)
            rule = torch.optim.SGD(model.parameters(), lr=1e-3)
            for x, y in pairs(words, s.window):
                learn(model, x, y, rule)
                with torch.no_grad():
                    for one, two in zip(slow.parameters(), model.parameters()):
                        one.mul_(0.99).add_(two, alpha=0.01)
            return slow
        """,
        "model = averaged(model, words, s)",
    ),
    "a copy whose state is taken over": (
        """
        def tuned(model, words, s):
            other = copy.deepcopy(model)
            rule = torch.optim.SGD(other.parameters(), lr=1e-3)
            for x, y in pairs(words, s.window):
                learn(other, x, y, rule)
            return other.state_dict()
        """,
        "model.load_state_dict(tuned(model, words, s))",
    ),
    "a step that is handed a closure": (
        """
        def fitted(model, words, s):
            rule = torch.optim.LBFGS(model.parameters())
            for x, y in pairs(words, s.window):

                def again():
                    rule.zero_grad()
                    loss = model(x, y)
                    loss.backward()
                    return loss

                rule.step(again)  # here
        """,
        "fitted(model, words, s)",
    ),
    "a data loader": (
        """
        class Windows(torch.utils.data.Dataset):
            def __init__(self, words, width):
                self.words, self.width = words, width

            def __len__(self):
                return (len(self.words) - 1) // self.width

            def __getitem__(self, number):
                begin = number * self.width
                return self.words[begin : begin + self.width], self.words[begin + 1 : begin + self.width + 1]

        def loaded(net, words, s):
            rule = torch.optim.SGD(net.parameters(), lr=1e-3)
            for x, y in torch.utils.data.DataLoader(Windows(words, s.window), batch_size=8, shuffle=True):
                learn(net, x.cuda(), y.cuda(), rule)
        """,
        "loaded(model, words, s)",
    ),
}


@pytest.mark.parametrize(("more", "loaded"), SHAPES.values(), ids=SHAPES)
def test_a_pass_is_followed_through_whatever_shape_it_has(tmp_path, more, loaded):
    assert_found(tmp_path, script(more=LEARN + textwrap.dedent(more), loaded=loaded), "R5", "ttt_adapt_then_score")
