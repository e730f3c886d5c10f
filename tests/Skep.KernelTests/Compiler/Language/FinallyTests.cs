namespace Skep.KernelTests.Compiler.Language;

/// <summary><c>finally</c>, <c>using</c> and <c>foreach</c> over enumerators that are disposed of: nothing throws, and whatever way is taken, what is to be done at the end is.</summary>
public unsafe class FinallyTests
{
    [KernelFact]
    public void Finally_runs_on_every_way_out() => WordsProgram.Check(() => new Ways(), 200);

    [KernelFact]
    public void Nested_scopes_end_from_the_inside_out() => WordsProgram.Check(() => new Nested(), 200);

    [KernelFact]
    public void An_enumerator_is_disposed_of_however_its_loop_ends() => WordsProgram.Check(() => new Enumerates(), 200);

    private sealed class Ways : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var sum = Choose(w) + (w[1] & 3);
            w[8] = sum;
            for (var i = 0; i < 6; i++)
            {
                try
                {
                    if (((w[2] >> i) & 1) != 0)
                    {
                        continue;
                    }

                    if (((w[3] >> i) & 3) == 3)
                    {
                        break;
                    }

                    w[9] += 5;
                }
                finally
                {
                    w[10] += (ulong)i + 1;
                }
            }

            return (w[10] & 1) != 0;
        }

        private static ulong Choose(ulong* w)
        {
            try
            {
                switch (w[0] & 3)
                {
                    case 0:
                        return 1;
                    case 1:
                        w[4]++;
                        return w[4];
                    case 2:
                        w[5] = 9;
                        break;
                }
            }
            finally
            {
                w[6] = (w[0] & 3) + 7;
                w[4] ^= 1;
            }

            return w[4];
        }
    }

    private struct Scope(uint* depth, uint* trace) : IDisposable
    {
        public static Scope Begin(uint* depth, uint* trace)
        {
            ++*depth;
            return new Scope(depth, trace);
        }

        public void Dispose() => *trace = (*trace * 10) + (*depth)--;
    }

    private sealed class Nested : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            uint depth = 0;
            uint trace = 0;
            var result = Inside(w, &depth, &trace);
            w[9] = depth;
            w[10] = trace;
            return result;
        }

        private static bool Inside(ulong* w, uint* depth, uint* trace)
        {
            using var outer = Scope.Begin(depth, trace);
            if ((w[0] & 7) == 1)
            {
                return true;
            }

            using (Scope.Begin(depth, trace))
            {
                using var inner = Scope.Begin(depth, trace);
                if ((w[0] & 7) == 2)
                {
                    return false;
                }

                w[8] = *depth;
            }

            try
            {
                try
                {
                    return (w[1] & 1) != 0;
                }
                finally
                {
                    using var last = Scope.Begin(depth, trace);
                    w[11] = *depth;
                }
            }
            finally
            {
                w[12] = w[11] + 1;
            }
        }
    }

    private struct Counter(uint end, ulong* ended) : IDisposable
    {
        private uint _next;

        public uint Current { get; private set; }

        public readonly Counter GetEnumerator() => this;

        public bool MoveNext()
        {
            Current = _next;
            return _next++ < end;
        }

        public readonly void Dispose() => *ended += 100 + Current;
    }

    private sealed class Enumerates : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            foreach (var i in new Counter(9, w + 8))
            {
                if (i == (w[0] & 15))
                {
                    w[9] = i;
                    break;
                }

                if (i > 2 && ((w[1] >> (int)i) & 7) == 7)
                {
                    return false;
                }

                w[10] += i;
            }

            return true;
        }
    }
}
