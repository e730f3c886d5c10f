using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>One round of iterated register coalescing over the registers of a function.</summary>
internal sealed partial class InterferenceGraph
{
    private static readonly Row<int> s_none = [];
    private readonly MachineFunction _function;
    private readonly HashSet<int> _spillTemporaries;
    private readonly EdgeSet _edges;
    private readonly AdjacencyLists _neighbors;
    private readonly int[] _degree;
    private readonly double[] _cost;
    private readonly int[] _life;
    private readonly int[] _alias;
    private readonly int[] _color;
    private readonly Row<int>?[] _moves;
    private readonly Row<MachineInstruction> _allMoves = [];
    private readonly OrderedSet _worklistMoves = new();
    private readonly OrderedSet _activeMoves = new();
    private readonly LayeredSet _simplify;
    private readonly LayeredSet _freeze;
    private readonly OrderedSet _spill = new();
    private readonly BitSet _coalesced;
    private readonly BitSet _onStack;
    private readonly Stack<int> _stack = new();
    private readonly bool[] _exists;
    private int _colors;

    /// <param name="function">The function as it is in this round.</param>
    /// <param name="spillTemporaries">Registers that are not to be spilled again.</param>
    /// <param name="edges">Memory of the round before.</param>
    /// <param name="neighbors">Memory of the round before.</param>
    public InterferenceGraph(MachineFunction function, HashSet<int> spillTemporaries, EdgeSet edges, AdjacencyLists neighbors)
    {
        _function = function;
        _spillTemporaries = spillTemporaries;
        (_edges, _neighbors) = (edges, neighbors);
        var count = function.RegisterCount;
        _edges.Reset(count);
        _neighbors.Reset(count);
        (_simplify, _freeze, _coalesced, _onStack) = (new LayeredSet(count), new LayeredSet(count), new BitSet(count), new BitSet(count));
        _moves = new Row<int>?[count];
        _degree = new int[count];
        _cost = new double[count];
        _life = new int[count];
        _alias = new int[count];
        _color = new int[count];
        _exists = new bool[count];
        for (var i = 0; i < count; i++)
        {
            _color[i] = i < MachineFunction.FirstVirtual ? i : -1;
            _degree[i] = i < MachineFunction.FirstVirtual ? int.MaxValue / 2 : 0;
        }

        Build();
    }

    /// <summary>Colours the graph; returns the registers that must be spilled, or nothing.</summary>
    public List<int> Color(int colors)
    {
        _colors = colors;
        for (var v = MachineFunction.FirstVirtual; v < _degree.Length; v++)
        {
            if (_exists[v])
            {
                if (_degree[v] >= colors)
                {
                    _spill.Add(v);
                }
                else
                {
                    (IsMoveRelated(v) ? _freeze : _simplify).Add(v);
                }
            }
        }

        while (true)
        {
            // The smallest, so that the result does not depend on hashing.
            if (_simplify.First() is >= 0 and var simple)
            {
                _simplify.Remove(simple);
                Simplify(simple);
            }
            else if (_worklistMoves.Count > 0)
            {
                Coalesce();
            }
            else if (_freeze.First() is >= 0 and var frozen)
            {
                _freeze.Remove(frozen);
                _simplify.Add(frozen);
                FreezeMoves(frozen);
            }
            else if (_spill.Count > 0)
            {
                SelectSpill();
            }
            else
            {
                break;
            }
        }

        return AssignColors();
    }

    /// <summary>Puts the colours into the code and drops moves to the same register.</summary>
    public void Apply()
    {
        foreach (var block in _function.Blocks)
        {
            foreach (var instruction in block.Code)
            {
                instruction.Dst = Final(instruction.Dst);
                instruction.Src = Final(instruction.Src);
                instruction.Src2 = Final(instruction.Src2);
            }

            block.Code.RemoveAll(static i => i.IsCopy && i.Dst == i.Src);
        }

        int Final(int register) => register < MachineFunction.FirstVirtual ? register : _color[GetAlias(register)];
    }

    private void AddEdge(int a, int b)
    {
        if (a == b || !_edges.Add(a, b))
        {
            return;
        }

        if (a >= MachineFunction.FirstVirtual)
        {
            _neighbors.Add(a, b);
            _degree[a]++;
        }

        if (b >= MachineFunction.FirstVirtual)
        {
            _neighbors.Add(b, a);
            _degree[b]++;
        }
    }

    private bool IsInGraph(int v) => !_onStack.Contains(v) && !_coalesced.Contains(v);

    private bool IsLive(int move) => _activeMoves.Contains(move) || _worklistMoves.Contains(move);

    private Row<int> Moves(int v) => _moves[v] ?? s_none;

    private bool IsMoveRelated(int v)
    {
        foreach (var move in Moves(v))
        {
            if (IsLive(move))
            {
                return true;
            }
        }

        return false;
    }

    private void Simplify(int v)
    {
        _stack.Push(v);
        _onStack.Add(v);
        foreach (var neighbor in _neighbors[v])
        {
            if (!_coalesced.Contains(neighbor) && (neighbor < MachineFunction.FirstVirtual || !_onStack.Contains(neighbor)))
            {
                DecrementDegree(neighbor);
            }
        }
    }

    private void DecrementDegree(int v)
    {
        if (v < MachineFunction.FirstVirtual)
        {
            return;
        }

        if (_degree[v]-- == _colors)
        {
            EnableMoves(v);
            foreach (var neighbor in _neighbors[v])
            {
                if (IsInGraph(neighbor))
                {
                    EnableMoves(neighbor);
                }
            }

            _spill.Remove(v);
            (IsMoveRelated(v) ? _freeze : _simplify).Add(v);
        }
    }

    private void EnableMoves(int v)
    {
        foreach (var move in Moves(v))
        {
            if (_activeMoves.Remove(move))
            {
                _worklistMoves.Add(move);
            }
        }
    }

    private void Coalesce()
    {
        var move = _worklistMoves.First();
        _worklistMoves.Remove(move);
        var x = GetAlias(_allMoves[move].Dst);
        var y = GetAlias(_allMoves[move].Src);
        var (u, v) = y < MachineFunction.FirstVirtual ? (y, x) : (x, y);
        if (u == v)
        {
            AddWork(u);
        }
        else if (v < MachineFunction.FirstVirtual || _edges.Contains(u, v))
        {
            AddWork(u);
            AddWork(v);
        }
        else if (u < MachineFunction.FirstVirtual ? IsSafe(u, v) : IsConservative(u, v))
        {
            Combine(u, v);
            AddWork(u);
        }
        else
        {
            _activeMoves.Add(move);
        }
    }

    private void AddWork(int v)
    {
        if (v >= MachineFunction.FirstVirtual && !IsMoveRelated(v) && _degree[v] < _colors && _freeze.Remove(v))
        {
            _simplify.Add(v);
        }
    }

    /// <summary>Whether the neighbours of <paramref name="v"/> are as easy to colour when it is the real register <paramref name="u"/>.</summary>
    private bool IsSafe(int u, int v)
    {
        foreach (var neighbor in _neighbors[v])
        {
            if (IsInGraph(neighbor) && neighbor >= MachineFunction.FirstVirtual && _degree[neighbor] >= _colors && !_edges.Contains(neighbor, u))
            {
                return false;
            }
        }

        return true;
    }

    private bool IsConservative(int u, int v) => CountSignificant(u, v, 0, false) is var ofFirst and >= 0 && CountSignificant(v, u, ofFirst, true) >= 0;

    /// <summary>The neighbours of <paramref name="v"/> that stay hard to colour when it is one with <paramref name="other"/>, added to <paramref name="count"/>; -1 when too many.</summary>
    private int CountSignificant(int v, int other, int count, bool withoutCommon)
    {
        foreach (var neighbor in _neighbors[v])
        {
            if (!IsInGraph(neighbor))
            {
                continue;
            }

            var isCommon = _edges.Contains(neighbor, other);
            if (isCommon && withoutCommon)
            {
                continue;
            }

            // A common neighbour loses one edge.
            var degree = _degree[neighbor] - (isCommon && neighbor >= MachineFunction.FirstVirtual ? 1 : 0);
            if (degree >= _colors && ++count >= _colors)
            {
                return -1;
            }
        }

        return count;
    }

    private void Combine(int u, int v)
    {
        if (!_freeze.Remove(v))
        {
            _spill.Remove(v);
        }

        _coalesced.Add(v);
        _alias[v] = u;
        (_moves[u] ??= []).AddRange(Moves(v));
        _cost[u] += _cost[v];
        _life[u] += _life[v];
        EnableMoves(v);
        foreach (var neighbor in _neighbors[v])
        {
            if (IsInGraph(neighbor))
            {
                AddEdge(neighbor, u);
                DecrementDegree(neighbor);
            }
        }

        if (u >= MachineFunction.FirstVirtual && _degree[u] >= _colors && _freeze.Remove(u))
        {
            _spill.Add(u);
        }
    }

    private int GetAlias(int v)
    {
        while (_coalesced.Contains(v))
        {
            v = _alias[v];
        }

        return v;
    }

    private void FreezeMoves(int u)
    {
        foreach (var move in Moves(u))
        {
            if (!IsLive(move))
            {
                continue;
            }

            var (x, y) = (GetAlias(_allMoves[move].Dst), GetAlias(_allMoves[move].Src));
            var v = y == GetAlias(u) ? x : y;
            _activeMoves.Remove(move);
            _worklistMoves.Remove(move);
            if (v >= MachineFunction.FirstVirtual && !IsMoveRelated(v) && _degree[v] < _colors && _freeze.Remove(v))
            {
                _simplify.Add(v);
            }
        }
    }

    private void SelectSpill()
    {
        // Cheapest use per neighbour it frees, rather where its life is long: to spill a short one leaves as many values alive at that place. What a spill made
        // is never spilled again while anything else is left.
        var (v, least) = (-1, double.PositiveInfinity);
        foreach (var candidate in _spill)
        {
            var cost = (_spillTemporaries.Contains(candidate) ? 1e12 : 0) + (_cost[candidate] / (Math.Max(1, _degree[candidate]) * Math.Sqrt(_life[candidate] + 1)));
            if (v < 0 || cost < least)
            {
                (v, least) = (candidate, cost);
            }
        }

        _spill.Remove(v);
        _simplify.Add(v);
        FreezeMoves(v);
    }

    private List<int> AssignColors()
    {
        var spilled = new List<int>();
        while (_stack.TryPop(out var v))
        {
            var free = (1 << _colors) - 1;
            foreach (var neighbor in _neighbors[v])
            {
                var color = _color[GetAlias(neighbor)];
                if (color >= 0)
                {
                    free &= ~(1 << color);
                }
            }

            _onStack.Remove(v);
            if (free == 0)
            {
                spilled.Add(v);
            }
            else
            {
                _color[v] = Preferred(v, free);
            }
        }

        foreach (var v in _coalesced)
        {
            _color[v] = _color[GetAlias(v)];
        }

        return spilled;
    }

    /// <summary>A colour that makes a remaining move vanish, else the lowest.</summary>
    private int Preferred(int v, int free)
    {
        foreach (var index in Moves(v))
        {
            var move = _allMoves[index];
            var other = GetAlias(move.Dst) == v ? GetAlias(move.Src) : GetAlias(move.Dst);
            var color = _color[other];
            if (color is >= 0 and < 10 && (free >> color & 1) != 0)
            {
                return color;
            }
        }

        return System.Numerics.BitOperations.TrailingZeroCount(free);
    }
}
