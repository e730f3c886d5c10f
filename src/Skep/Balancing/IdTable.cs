namespace Skep.Balancing;

/// <summary>Gives keys small stable numbers. A released number is used again as late as possible, because tables may still mention it.</summary>
internal sealed class IdTable<TKey>
    where TKey : notnull
{
    private readonly uint _first;
    private readonly uint _last;
    private readonly Dictionary<TKey, uint> _ids = [];
    private readonly HashSet<uint> _taken = [];
    private uint _next;

    public IdTable(uint first, uint last)
    {
        _first = first;
        _last = last;
        _next = first;
    }

    public IReadOnlyCollection<TKey> Keys => _ids.Keys;

    public bool TryGet(TKey key, out uint id) => _ids.TryGetValue(key, out id);

    /// <summary>Takes over a number that is in use already; false when it belongs to another key or is out of range.</summary>
    public bool Adopt(TKey key, uint id)
    {
        if (id < _first || id > _last || !_taken.Add(id))
        {
            return false;
        }

        _ids[key] = id;
        _next = Math.Max(_next, id + 1);
        return true;
    }

    /// <summary>The number of <paramref name="key"/>, a new one if need be; false when all are taken.</summary>
    public bool TryGetOrAdd(TKey key, out uint id, out bool isNew)
    {
        isNew = false;
        if (_ids.TryGetValue(key, out id))
        {
            return true;
        }

        var count = _last - _first + 1;
        for (uint i = 0; i < count; i++)
        {
            var candidate = _first + ((_next - _first + i) % count);
            if (_taken.Add(candidate))
            {
                _next = candidate + 1;
                _ids[key] = id = candidate;
                isNew = true;
                return true;
            }
        }

        return false;
    }

    public void Release(TKey key)
    {
        if (_ids.Remove(key, out var id))
        {
            _taken.Remove(id);
        }
    }
}
