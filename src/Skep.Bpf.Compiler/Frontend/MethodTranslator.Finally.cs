using System.Reflection;
using System.Reflection.Metadata;
using Skep.Bpf.Compiler.Diagnostics;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// <c>try</c> with <c>finally</c>, as <c>using</c> and <c>foreach</c> have it. Nothing is thrown in a kernel program, so the blocks run in order: who leaves
/// a protected region goes through what stands in its way, and each way out has a copy of its own.
/// </summary>
internal sealed partial class MethodTranslator
{
    private readonly ExceptionHandlingClause[] _finally;

    /// <summary>Where to go on after the finally block that is being run, the innermost first.</summary>
    private List<int> _pending = [];

    private static bool IsFinally(ExceptionHandlingClause clause) => clause.Flags is ExceptionHandlingClauseOptions.Finally or ExceptionHandlingClauseOptions.Fault;

    /// <summary>The finally blocks between an instruction and where it leaves to, the innermost first, then the target itself.</summary>
    private List<int> WayOut(IlInstruction leave)
    {
        var way = _finally
            .Where(c => c.Flags == ExceptionHandlingClauseOptions.Finally && IsInside(leave.Offset, c.TryOffset, c.TryLength) && !IsInside((int)leave.Operand, c.TryOffset, c.TryLength))
            .OrderBy(static c => c.TryLength)
            .Select(static c => c.HandlerOffset)
            .ToList();
        way.Add((int)leave.Operand);
        return way;
    }

    private static bool IsInside(int offset, int start, int length) => offset >= start && offset < start + length;

    private void Leave(IlInstruction il)
    {
        _stack.Clear();
        var way = WayOut(il);
        _pending = [.. way.Skip(1), .. _pending];
        GoTo(_blocks[way[0]]);
    }

    private void EndFinally()
    {
        _stack.Clear();
        if (_pending is not [var next, ..])
        {
            throw new CompileException(Rule.InvalidIl, $"a finally block of '{_method.Name}' ends that was not entered", _builder.Position);
        }

        _pending = _pending[1..];
        GoTo(_blocks[next]);
    }

    /// <summary>All places where the finally block that an instruction ends may go on.</summary>
    private int[] SuccessorsOfFinally(IlInstruction end)
    {
        var block = _finally.Where(c => IsInside(end.Offset, c.HandlerOffset, c.HandlerLength)).OrderBy(static c => c.HandlerLength).FirstOrDefault();
        return block is null ? [] :
        [
            .. _il.Where(IsLeave).Select(WayOut)
                .Where(way => way.Contains(block.HandlerOffset))
                .Select(way => way[way.IndexOf(block.HandlerOffset) + 1])
                .Distinct(),
        ];
    }

    private static bool IsLeave(IlInstruction il) => (ILOpCode)(ushort)il.Code.Value is ILOpCode.Leave or ILOpCode.Leave_s;

    private static bool IsEndFinally(IlInstruction il) => (ILOpCode)(ushort)il.Code.Value is ILOpCode.Endfinally;
}
