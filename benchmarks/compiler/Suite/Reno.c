#include "suite.h"

extern struct map sockets;

struct socket {
    u32 window, threshold, clamp, acked_sum, in_flight, state;
    u32 smoothed_rtt, rtt_variance, rto, lost, mss, reserved;
    u64 delivered, pacing;
};
struct event { u32 kind, acked, rtt, in_flight; };
enum { ACKED, LOSS, TIMEOUT };
enum { OPEN, RECOVERY };

INLINE void estimate(struct socket *s, u32 rtt)
{
    if (s->smoothed_rtt == 0) {
        s->smoothed_rtt = rtt << 3;
        s->rtt_variance = rtt << 1;
    } else {
        s32 error = (s32)(rtt - (s->smoothed_rtt >> 3));
        s->smoothed_rtt += error;
        if (error < 0)
            error = -error;
        error -= (s32)(s->rtt_variance >> 2);
        s->rtt_variance += error;
    }
    u32 rto = (s->smoothed_rtt >> 3) + s->rtt_variance;
    s->rto = rto < 200000 ? 200000 : rto > 120000000 ? 120000000 : rto;
}

INLINE u32 slow_start(struct socket *s, u32 acked)
{
    u32 window = s->window + acked;
    if (window > s->threshold)
        window = s->threshold;
    acked -= window - s->window;
    s->window = window < s->clamp ? window : s->clamp;
    return acked;
}

INLINE void avoid(struct socket *s, u32 window, u32 acked)
{
    if (s->acked_sum >= window) {
        s->acked_sum = 0;
        s->window++;
    }
    s->acked_sum += acked;
    if (s->acked_sum >= window) {
        u32 more = s->acked_sum / window;
        s->acked_sum -= more * window;
        s->window += more;
    }
    if (s->window > s->clamp)
        s->window = s->clamp;
}

INLINE u32 half(u32 window) { return window >> 1 > 2 ? window >> 1 : 2; }

SEC("xdp") int run(struct xdp_md *context)
{
    u8 *data = DATA(context), *end = DATA_END(context);
    struct event *event = (void *)(data + sizeof(struct ethernet));
    if ((u8 *)(event + 1) > end)
        return DROP;
    u32 zero = 0;
    struct socket *s = map_lookup(&sockets, &zero);
    if (!s)
        return ABORTED;
    s->in_flight = event->in_flight;
    switch (event->kind) {
    case ACKED:
        if (event->rtt != 0)
            estimate(s, event->rtt);
        s->delivered += event->acked;
        if (s->state == RECOVERY) {
            s->state = OPEN;
            s->window = s->threshold;
        }
        // Only a sender that fills its window may grow it.
        if (s->window <= s->threshold ? s->window < 2 * s->in_flight : s->window <= s->in_flight) {
            u32 acked = event->acked;
            if (s->window <= s->threshold)
                acked = slow_start(s, acked);
            if (acked != 0)
                avoid(s, s->window, acked);
        }
        break;
    case LOSS:
        if (s->state == OPEN) {
            s->threshold = half(s->window);
            s->window = s->threshold;
            s->state = RECOVERY;
        }
        s->lost++;
        break;
    case TIMEOUT:
        s->threshold = half(s->window);
        s->window = 1;
        s->acked_sum = 0;
        s->rto = s->rto < 60000000 ? s->rto << 1 : 120000000;
        break;
    default:
        return DROP;
    }
    u32 rtt = s->smoothed_rtt >> 3;
    if (rtt != 0)
        s->pacing = (u64)s->window * s->mss * 1000000 / rtt;
    return PASS;
}
