namespace Skep.Bpf.Programming;

/// <summary>
/// Loops with more rounds than the verifier can walk one by one. The compiler writes each for the kernel at hand; the same C# runs in the process.
/// Loops with a constant bound need none of this: write <c>for</c>; from kernel 6.9 the compiler has long ones counted by the kernel by itself.
/// </summary>
public static class Loop
{
    /// <summary>Most rounds the kernel makes in one loop (<c>BPF_MAX_LOOPS</c>).</summary>
    public const uint MostRounds = 8 * 1024 * 1024;

    /// <summary>
    /// False once the kernel finds that a function has looped for too long: 8 Mi rounds, or 250 ms from kernel 6.15. Put it in the condition of a loop and
    /// the verifier no longer walks the rounds one by one (<c>may_goto</c>, kernel 6.9). Always true in the process, and on older kernels, where the
    /// verifier must see another bound.
    /// </summary>
    public static bool MayContinue
    {
        [LoopLowering(LoopWay.MayGoto)]
        get => true;
    }

    /// <summary>
    /// Calls <paramref name="body"/> for 0, 1, 2 and so on until it says <see cref="LoopControl.Break"/>, at most <paramref name="rounds"/> times.
    /// From kernel 5.17 the verifier walks the body once (<c>bpf_loop</c>); before, and for up to 16 rounds, this is a plain loop whose bound the
    /// verifier must see: <c>Math.Min(rounds, 64)</c>.
    /// </summary>
    /// <param name="rounds">Most rounds, at most <see cref="MostRounds"/>; more are refused by <c>bpf_loop</c> with -E2BIG (-7) and none is made.</param>
    /// <param name="body">A static lambda or a method; it knows only its arguments, and readonly fields of its object.</param>
    /// <param name="state">What the rounds share; a variable on the stack.</param>
    /// <returns>Rounds made, the one that broke off included.</returns>
    public static long Run<TState>(uint rounds, LoopBody<TState> body, ref TState state)
        where TState : struct, allows ref struct
    {
        if (CallsBack(rounds))
        {
            // Where the verifier sees that no round is made it takes the body for dead code, and then misses it: 0 must not get there.
            return rounds == 0 ? 0 : CallBack(rounds, body, ref state, 0);
        }

        if (rounds > MostRounds)
        {
            return -Errno.TooBig;
        }

        for (uint i = 0; i < rounds; i++)
        {
            if (body(i, ref state) != LoopControl.Continue)
            {
                return i + 1;
            }
        }

        return rounds;
    }

    /// <summary>
    /// The numbers from 0 to <paramref name="count"/> - 1, for <c>foreach</c>. From kernel 6.4 the verifier walks the body until it learns nothing new
    /// (<c>bpf_iter_num</c>, <c>may_goto</c> from 6.9), and the kernel breaks the loop off as <see cref="MayContinue"/> says; on older ones this is a plain loop whose bound
    /// the verifier must see.
    /// </summary>
    public static LoopRange Range(uint count) => new(count);

    [LoopLowering(LoopWay.Iterator)]
    internal static bool Iterates() => false;

    [LoopLowering(LoopWay.Callback)]
    private static bool CallsBack(uint rounds)
    {
        _ = rounds;
        return false;
    }

    /// <summary>In the process <see cref="Run"/> loops by itself and never comes here.</summary>
    [KernelHelper(181, Since = "5.17")]
    private static long CallBack<TState>(uint rounds, LoopBody<TState> body, ref TState state, ulong flags)
        where TState : struct, allows ref struct => throw new InvalidOperationException($"{rounds} {body} {flags}");
}

/// <summary>One round of a loop.</summary>
/// <param name="index">Number of the round, from 0.</param>
/// <param name="state">What the rounds share.</param>
public delegate LoopControl LoopBody<TState>(uint index, ref TState state)
    where TState : struct, allows ref struct;

/// <summary>Whether a loop goes on.</summary>
public enum LoopControl
{
    /// <summary>With the next round or entry.</summary>
    Continue = 0,
    /// <summary>No more.</summary>
    Break = 1,
}
